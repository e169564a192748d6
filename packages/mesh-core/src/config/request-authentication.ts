// RequestAuthentication (security.istio.io): whose tokens are taken, where they stand and what becomes of them.

import { z } from 'zod';
import { duration } from './schema-parts.ts';
import { jwksProblem } from './jwks.ts';
import { ONE_TARGET, hasOneTarget, policyTargets } from './target-ref.ts';

const text = z.string().min(1, 'must not be empty');

const HTTP_URL = /^https?:\/\/(?:[^\s/?#@]*@)?(?:\[[0-9a-f:.]+\]|[^\s/?#:@[\]]+)(?::(\d{1,5}))?(?:[/?#]\S*)?$/i;

/** Whether a key server can be asked at this address. */
export function isHttpUrl(url: string): boolean {
  const parts = HTTP_URL.exec(url);
  return parts !== null && Number(parts[1] ?? 0) <= 65_535 && !/%(?![0-9a-f]{2})/i.test(url);
}

const keyServer = z.string().min(1).max(2_048).refine(isHttpUrl, 'must be a URL of scheme http or https');

/** The key server a rule names, by either name of the field. */
export function keyServerOf(rule: { jwksUri?: string | undefined; jwks_uri?: string | undefined }): string | undefined {
  return rule.jwksUri ?? rule.jwks_uri;
}

const jwtRule = z
  .strictObject({
    issuer: text.optional(),
    audiences: z.array(text).optional(),
    jwksUri: keyServer.optional(),
    /** An older name of the same. */
    jwks_uri: keyServer.optional(),
    jwks: z
      .string()
      .superRefine((jwks, context) => {
        const message = jwks === '' ? undefined : jwksProblem(jwks);
        if (message !== undefined) context.addIssue({ code: 'custom', message });
      })
      .optional(),
    fromHeaders: z.array(z.strictObject({ name: text, prefix: z.string().optional() })).optional(),
    fromParams: z.array(text).optional(),
    fromCookies: z.array(text).optional(),
    outputPayloadToHeader: z.string().optional(),
    outputClaimToHeaders: z
      .array(z.strictObject({ header: z.string().regex(/^[-_A-Za-z0-9]+$/, 'must be a header name: letters, digits, - and _'), claim: text }))
      .optional(),
    forwardOriginalToken: z.boolean().optional(),
    timeout: duration.optional(),
    spaceDelimitedClaims: z.array(text).max(64).optional(),
  })
  .refine((rule) => rule.issuer !== undefined || keyServerOf(rule) !== undefined, { path: ['issuer'], message: 'is required where there is no jwksUri' })
  .refine(
    (rule) => [rule.jwks || undefined, rule.jwksUri, rule.jwks_uri].filter((source) => source !== undefined).length <= 1,
    'must have only one of jwks, jwksUri',
  );
export type JwtRule = z.infer<typeof jwtRule>;

export const requestAuthenticationSpec = z
  .strictObject({ ...policyTargets, jwtRules: z.array(jwtRule).max(4_096).optional() })
  .refine(hasOneTarget, ONE_TARGET);
export type RequestAuthenticationSpec = z.infer<typeof requestAuthenticationSpec>;
