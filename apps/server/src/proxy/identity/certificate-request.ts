// A certificate request (PKCS #10, RFC 2986) for one URI name. Written here because a library for it would be the largest part of an idle proxy.

import { type KeyObject, sign } from 'node:crypto';

const Tag = { integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, utf8String: 0x0c, sequence: 0x30, set: 0x31, attributes: 0xa0, uri: 0x86 } as const;

/** Object identifiers, encoded. */
const oid = {
  commonName: der(Tag.oid, Buffer.from([0x55, 4, 3])),
  subjectAltName: der(Tag.oid, Buffer.from([0x55, 0x1d, 0x11])),
  extensionRequest: der(Tag.oid, Buffer.from([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x0e])),
  ecdsaWithSha256: der(Tag.oid, Buffer.from([0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])),
};

/** PEM. `keys`: P-256. */
export function certificateRequest(keys: { publicKey: KeyObject; privateKey: KeyObject }, commonName: string, uri: string): string {
  const subject = der(Tag.sequence, der(Tag.set, der(Tag.sequence, oid.commonName, der(Tag.utf8String, Buffer.from(commonName)))));
  const names = der(Tag.sequence, der(Tag.uri, Buffer.from(uri, 'ascii')));
  const extensions = der(Tag.sequence, der(Tag.sequence, oid.subjectAltName, der(Tag.octetString, names)));
  const attributes = der(Tag.attributes, der(Tag.sequence, oid.extensionRequest, der(Tag.set, extensions)));
  const info = der(Tag.sequence, der(Tag.integer, Buffer.from([0])), subject, keys.publicKey.export({ type: 'spki', format: 'der' }), attributes);
  // A bit string begins with the number of its unused bits.
  const signature = der(Tag.bitString, Buffer.from([0]), sign('sha256', info, keys.privateKey));
  const lines =
    der(Tag.sequence, info, der(Tag.sequence, oid.ecdsaWithSha256), signature)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE REQUEST-----\n${lines.join('\n')}\n-----END CERTIFICATE REQUEST-----\n`;
}

/** Tag, length, content. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
