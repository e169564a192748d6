/** Node's HTTP: 1 MB once it is loaded, and a proxy without traffic has no use for it. */
export const nodeHttp = (): typeof import('node:http') => process.getBuiltinModule('node:http');
