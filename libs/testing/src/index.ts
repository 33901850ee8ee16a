export { startTestCluster, type TestCluster } from './cluster';
export { natsError } from './nats-error';
export { dieOver } from './die-over';
export { killInTheAct } from './kill-in-the-act';
export { startTestMesh, type TestMesh } from './mesh';
export { freePort, startTestNats, type TestNats } from './nats';
export { syntheticPictures } from './pictures';
export { repositoryRoot, startServiceProcess, tinyCheckpoint, waitFor, type ServiceProcess } from './processes';
export { signalProcess } from './signals';
