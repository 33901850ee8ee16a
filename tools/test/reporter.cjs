// Writes a line for each spec file as soon as it is over, so that a jest that is killed in the middle does not take along what it had found.
const { appendFileSync } = require('node:fs');

module.exports = class ProgressReporter {
  onTestResult({ path }, { numPassingTests, numFailingTests, testExecError }) {
    this.say({
      path,
      passed: numPassingTests,
      failed: numFailingTests + (testExecError && numFailingTests === 0 ? 1 : 0),
    });
  }

  onRunComplete() {
    this.say({ over: true });
  }

  say(line) {
    appendFileSync(process.env.ATELIER_TEST_PROGRESS, `${JSON.stringify(line)}\n`);
  }
};
