// Preloaded into every service that "atelier up" starts: when up itself is killed, its end of the channel closes, and the service
// ends as it would on SIGTERM instead of working on for nobody.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
