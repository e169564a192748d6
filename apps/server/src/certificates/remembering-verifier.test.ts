import { describe, expect, it } from 'vitest';
import { rememberingVerifier } from './remembering-verifier.ts';

const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'web' };

function verifier() {
  const state = { now: 1_000, calls: 0, refuse: false };
  const verify = rememberingVerifier(
    () => {
      state.calls += 1;
      return state.refuse ? Promise.reject(new Error('refused')) : Promise.resolve({ identity, serial: '01', notAfter: 5_000 });
    },
    () => state.now,
  );
  return { state, verify };
}

describe('rememberingVerifier', () => {
  it('checks the same certificate once, and another one anew', async () => {
    const { state, verify } = verifier();
    expect((await verify(Uint8Array.of(1))).serial).toBe('01');
    expect((await verify(Uint8Array.of(1))).identity).toEqual(identity);
    expect(state.calls).toBe(1);
    await verify(Uint8Array.of(2));
    expect(state.calls).toBe(2);
  });

  it('checks again after its end and when the clock was set back', async () => {
    const { state, verify } = verifier();
    await verify(Uint8Array.of(1));
    state.refuse = true;
    state.now = 5_001;
    await expect(verify(Uint8Array.of(1))).rejects.toThrow('refused');
    state.now = 999;
    await expect(verify(Uint8Array.of(1))).rejects.toThrow('refused');
  });

  it('does not remember a refusal', async () => {
    const { state, verify } = verifier();
    state.refuse = true;
    await expect(verify(Uint8Array.of(1))).rejects.toThrow('refused');
    state.refuse = false;
    await expect(verify(Uint8Array.of(1))).resolves.toMatchObject({ serial: '01' });
  });
});
