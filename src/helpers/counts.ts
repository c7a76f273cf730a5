/** 1234567 as 1,234,567. */
export function showCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** A count with its noun: `1 object`, `2 objects`, `1,000 meshes`. */
export function countOf(count: number, singular: string): string {
  return `${showCount(count)} ${count === 1 ? singular : toPlural(singular)}`;
}

/** Only the last word changes: `cached value`, `cached values`. */
function toPlural(singular: string): string {
  return /(s|x|ch|sh)$/.test(singular) ? `${singular}es` : `${singular}s`;
}
