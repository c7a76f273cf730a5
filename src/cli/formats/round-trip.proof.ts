import { describeRoundTrips } from '../testing/describe-round-trips.ts';

describeRoundTrips(1_000);
