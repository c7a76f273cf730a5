import { describeRoundTrips } from '../testing/describe-round-trips.ts';

describeRoundTrips(3_000);
