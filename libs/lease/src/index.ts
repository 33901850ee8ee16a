export { acquireLease, leasesOf, type Lease, type LeaseRequest } from './lease';
