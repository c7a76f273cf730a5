export interface KnownKey {
  tenantId: string;
  /** Null: the browser offers SHA-256 only over HTTPS and on this machine. */
  keyId: string | null;
}

const KEY = /^wk_((?!\.+_)[A-Za-z0-9._:-]{1,128})_[A-Za-z0-9_-]{43}$/;
const ID_DIGITS = 16;

/** Reads the tenant of a key, and computes its id. @returns null if it is no key */
export async function describeKey(key: string): Promise<KnownKey | null> {
  const tenantId = KEY.exec(key)?.[1];
  if (tenantId === undefined) return null;
  if (globalThis.crypto.subtle === undefined) return { tenantId, keyId: null };
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key)));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { tenantId, keyId: `key_${hex.slice(0, ID_DIGITS)}` };
}
