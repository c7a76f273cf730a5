const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** @returns the time in a UUIDv7, in milliseconds since 1970; null for any other text */
export function readUuidTime(text: string): number | null {
  const uuid = UUID_V7.exec(text);
  return uuid === null ? null : Number.parseInt(`${uuid[1]}${uuid[2]}`, 16);
}
