// Addresses and blocks of them, of both families, as bits.

interface Block {
  /** All bits of the address, and how many of them count. */
  bits: string;
  length: number;
}

function binary(value: number, width: number): string {
  return value.toString(2).padStart(width, '0');
}

/** Bits of an address; '' = it is none. */
function bitsOf(address: string): string {
  if (!address.includes(':')) {
    const parts = address.split('.').map(Number);
    return parts.length === 4 && parts.every((part) => part >= 0 && part <= 255) ? parts.map((part) => binary(part, 8)).join('') : '';
  }
  const [head = '', tail] = address.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':').map((group) => binary(Number.parseInt(group, 16), 16)));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const missing = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const bits = [...before, ...Array<string>(missing).fill(binary(0, 16)), ...after].join('');
  return bits.length === 128 ? bits : '';
}

function blockOf(text: string): Block {
  const [address = '', length] = text.split('/');
  const bits = bitsOf(address);
  return { bits, length: length === undefined ? bits.length : Number(length) };
}

/** Bits of the narrowest of the subnets that holds one of the addresses (which may be blocks themselves); undefined = none does. */
export function narrowestHolding(subnets: readonly string[], addresses: readonly string[]): number | undefined {
  const inside = addresses.map(blockOf);
  const lengths = subnets
    .map(blockOf)
    .filter(({ bits, length }) =>
      inside.some((a) => a.bits !== '' && a.bits.length === bits.length && a.length >= length && a.bits.startsWith(bits.slice(0, length))),
    )
    .map(({ length }) => length);
  return lengths.length === 0 ? undefined : Math.max(...lengths);
}
