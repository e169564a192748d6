// Blocks of addresses, compiled once; an address is read without making anything of it.

export interface IpRangeSpec {
  address: string;
  /** Bits that count. */
  length: number;
}

/** `address/length`; without a length all bits of the address count. */
export function parseIpRange(text: string): IpRangeSpec {
  const [address = '', length] = text.split('/');
  return { address, length: length === undefined ? (address.includes(':') ? 128 : 32) : Number(length) };
}

/** Written over by each reading of an IPv6 address. */
const groups = new Uint16Array(8);

/** As in Envoy an IPv4 address in the form of IPv6 is none of a block of IPv4. Undefined for what is no block. */
export function compileIpRange({ address, length }: IpRangeSpec): ((address: string) => boolean) | undefined {
  const four = readIpv4(address);
  if (four >= 0) {
    if (!Number.isInteger(length) || length < 0 || length > 32) return undefined;
    const size = 2 ** (32 - length);
    const first = Math.floor(four / size);
    return (other) => {
      const read = readIpv4(other);
      return read >= 0 && Math.floor(read / size) === first;
    };
  }
  if (!readIpv6(address) || !Number.isInteger(length) || length < 0 || length > 128) return undefined;
  const wanted = Uint16Array.from(groups);
  const masks = wanted.map((_, i) => maskOf(length, i));
  return (other) => readIpv6(other) && masks.every((mask, i) => ((wanted[i] ?? 0) & mask) === ((groups[i] ?? 0) & mask));
}

/** The block of so many bits an address is in, `address/length`; its groups are written out. Undefined for what is no address. */
export function blockOf(address: string, length: number): string | undefined {
  const four = readIpv4(address);
  if (four >= 0) {
    const bits = Math.min(length, 32);
    const size = 2 ** (32 - bits);
    const first = Math.floor(four / size) * size;
    return `${[24, 16, 8, 0].map((shift) => (first >>> shift) & 0xff).join('.')}/${bits}`;
  }
  if (!readIpv6(address)) return undefined;
  const bits = Math.min(length, 128);
  return `${Array.from(groups, (group, i) => (group & maskOf(bits, i)).toString(16)).join(':')}/${bits}`;
}

/** Of a group of an IPv6 address, in a block of so many bits. */
const maskOf = (length: number, group: number): number => (0xffff << (16 - Math.min(16, Math.max(0, length - group * 16)))) & 0xffff;

/** As a number; -1 = none. */
function readIpv4(text: string): number {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === 0x2e) {
      if (octet < 0 || ++dots > 3) return -1;
      value = value * 256 + octet;
      octet = -1;
    } else if (char >= 0x30 && char <= 0x39 && octet !== 0) {
      octet = (octet < 0 ? 0 : octet * 10) + char - 0x30;
      if (octet > 255) return -1;
    } else return -1;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

/** Into `groups`; false = none. A zone does not count. */
function readIpv6(text: string): boolean {
  if (!text.includes(':')) return false;
  const zone = text.indexOf('%');
  const end = zone < 0 ? text.length : zone;
  let at = 0;
  let gap = -1;
  let start = 0;
  groups.fill(0);
  if (text.startsWith('::')) {
    gap = 0;
    start = 2;
  }
  while (start < end) {
    let next = text.indexOf(':', start);
    if (next < 0 || next > end) next = end;
    if (at > 7 || next === start) return false;
    const part = text.slice(start, next);
    if (part.includes('.')) {
      const four = readIpv4(part);
      if (four < 0 || next !== end || at > 6) return false;
      groups[at++] = four >>> 16;
      groups[at++] = four & 0xffff;
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return false;
      groups[at++] = Number.parseInt(part, 16);
    }
    if (next === end) break;
    start = next + 1;
    if (text.charCodeAt(start) === 0x3a) {
      if (gap >= 0) return false;
      gap = at;
      start++;
    } else if (start === end) return false;
  }
  if (gap < 0) return at === 8;
  if (at > 7) return false;
  groups.copyWithin(8 - (at - gap), gap, at);
  groups.fill(0, gap, 8 - (at - gap));
  return true;
}
