// RE2 in JavaScript takes 1.5 MB once it is loaded, and most meshes have no pattern: it is loaded with the first one. By `require`,
// since whoever compiles a pattern cannot wait; so patterns are compiled in Node only.

import type { RE2JS } from 're2js';

interface Node {
  getBuiltinModule(name: 'node:module'): { createRequire(from: string): (name: 're2js') => { RE2JS: typeof RE2JS } };
}

let engine: typeof RE2JS | undefined;

export function regexEngine(): typeof RE2JS {
  if (engine === undefined) {
    const { process } = globalThis as unknown as { process: Node };
    engine = process.getBuiltinModule('node:module').createRequire((import.meta as unknown as { url: string }).url)('re2js').RE2JS;
  }
  return engine;
}
