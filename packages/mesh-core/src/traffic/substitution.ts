// Envoy's %COMMAND(argument):length% formats, compiled once. Which commands there are is the caller's business.

export class SubstitutionError extends Error {
  readonly code = 'WEFT_SUBSTITUTION';
}

/** What a command stands for; undefined = the command is not known here. `argument` is what stood in the parentheses. */
export type CommandResolver<S> = (command: string, argument: string | undefined) => ((source: S) => string | undefined) | undefined;

const commandAt = /%([A-Z0-9_]+)(?:\((.*?)\))?(?::(\d+))?%/y;

/**
 * A constant, or a function of the source. A command without a value gives `missing`; `finish` has the last word on the values of a
 * command, once they are cut to their length. @throws SubstitutionError
 */
export function compileSubstitution<S>(
  format: string,
  resolve: CommandResolver<S>,
  missing: string,
  finish?: (command: string, argument: string | undefined) => (value: string) => string,
): string | ((source: S) => string) {
  const parts: (string | ((source: S) => string))[] = [];
  let literal = '';
  let i = 0;
  while (i < format.length) {
    const percent = format.indexOf('%', i);
    literal += format.slice(i, percent < 0 ? format.length : percent);
    if (percent < 0) break;
    if (format[percent + 1] === '%') {
      literal += '%';
      i = percent + 2;
      continue;
    }
    commandAt.lastIndex = percent;
    const found = commandAt.exec(format);
    if (found === null) throw new SubstitutionError(`"${format}" has no command at position ${percent}`);
    const [whole, command = '', argument, length] = found;
    const read = resolve(command, argument);
    if (read === undefined) throw new SubstitutionError(`the command operator ${whole} is not supported`);
    if (literal !== '') parts.push(literal);
    literal = '';
    const limit = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
    const finished = finish?.(command, argument);
    parts.push((source) => {
      const value = read(source);
      if (value === undefined) return missing;
      const cut = value.length > limit ? value.slice(0, limit) : value;
      return finished === undefined ? cut : finished(cut);
    });
    i = percent + whole.length;
  }
  const [only] = parts;
  if (only === undefined) return literal;
  if (literal !== '') parts.push(literal);
  if (parts.length === 1) return only;
  return (source) => {
    let text = '';
    for (const part of parts) text += typeof part === 'string' ? part : part(source);
    return text;
  };
}
