import type { Credentials } from '@atelier/mesh';

/** Where a mesh is, and how it is shown who asks. */
export interface MeshAccess {
  url: string;
  credentials: Credentials;
}
