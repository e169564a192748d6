import { basename, dirname } from 'node:path';
import { parseArgs } from 'node:util';

/** What the command line says of `defaults` (numbers or texts, by name). `--help`, and what is not known or no number, end the program with its usage. */
export function options(defaults) {
  const usage = `node bench/${basename(dirname(process.argv[1]))}/run.mjs ${Object.entries(defaults)
    .map(([name, value]) => `[--${name} ${value === '' ? 'text' : value}]`)
    .join(' ')}`;
  const end = (status, text) => {
    process[status === 0 ? 'stdout' : 'stderr'].write(`${text}\n`);
    process.exit(status);
  };
  const known = Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' }]));
  let values;
  try {
    ({ values } = parseArgs({ options: { ...known, help: { type: 'boolean' } } }));
  } catch ({ message }) {
    end(2, `${message}\n${usage}`);
  }
  if (values.help) end(0, usage);
  return Object.fromEntries(
    Object.entries(defaults).map(([name, fallback]) => {
      const given = values[name];
      if (given === undefined || typeof fallback === 'string') return [name, given ?? fallback];
      if (!(Number(given) >= 0)) end(2, `--${name} '${given}' is not a number\n${usage}`);
      return [name, Number(given)];
    }),
  );
}
