export { BatchLease } from './batch-lease';
export { acquireLease, leasesOf, type Lease, type LeaseRequest } from './lease';
