import { describe, it } from 'vitest';
import { BUCKET_CASES, type BucketCase, type OpenedBucket } from './bucket-cases.ts';

/** Runs the contract of buckets on an adapter in this process. */
export function describeBucket(
  name: string,
  open: () => Promise<OpenedBucket>,
  cases: readonly BucketCase[] = BUCKET_CASES,
): void {
  describeCases(name, async ({ run }) => run(await open()), cases);
}

/** Runs the contract where an adapter is, such as in another runtime. @param run rejects if the case fails */
export function describeCases(
  name: string,
  run: (bucketCase: BucketCase) => Promise<void>,
  cases: readonly BucketCase[] = BUCKET_CASES,
): void {
  describe(`${name} as a bucket`, () => {
    it.each(cases)('$name', run);
  });
}
