export { BatchLease } from './batch-lease';
export { acquireLease, type Lease, type LeaseRequest } from './lease';
export { leasesOf, leasesOfAll, waitersOf, type DeviceLeases } from './ledgers';
