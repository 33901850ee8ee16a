export { BatchLease } from './batch-lease';
export { acquireLease, leasesOf, waitersOf, type Lease, type LeaseRequest } from './lease';
export { leasesOfAll, type DeviceLeases } from './ledgers';
