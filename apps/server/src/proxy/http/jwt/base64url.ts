/** Padding may be there or not; undefined for what is no base64url. */
export function decodeBase64Url(text: string): Buffer | undefined {
  const bare = /^([\w-]*)={0,2}$/.exec(text)?.[1];
  return bare === undefined || bare.length % 4 === 1 ? undefined : Buffer.from(bare, 'base64url');
}
