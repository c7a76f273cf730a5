import { afterAll, beforeAll } from 'vitest';
import { LARGE_BUCKET_CASES } from './testing/bucket-cases.ts';
import { describeCases } from './testing/bucket-contract.ts';
import { type R2Target, startR2Target } from './testing/r2-target.ts';

let target: R2Target;
beforeAll(async () => {
  target = await startR2Target();
});
afterAll(() => target.stop());

describeCases('an R2 binding', (bucketCase) => target.runCase(bucketCase), LARGE_BUCKET_CASES);
