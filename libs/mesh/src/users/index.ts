export { ensureSeeds, seedFile, type PublicKeys } from './keys';
export { permissionsOf, type Permissions } from './permissions';
export { keyVariable, usersConfig } from './server-config';
