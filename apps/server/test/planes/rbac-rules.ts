// Policies of Envoy's RBAC filters, for requests and for connections.

export type Rule = Record<string, unknown>;

export const any: Rule = { any: true };

export const policy = (permission: Rule, principal: Rule = any): object => ({ permissions: [permission], principals: [principal] });
