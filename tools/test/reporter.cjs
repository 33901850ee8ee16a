// Writes a line for each spec file as soon as it is over, so that a jest that is killed in the middle does not take along what it had found.
const { appendFileSync } = require('node:fs');
const { stripVTControlCharacters: plain } = require('node:util');

module.exports = class ProgressReporter {
  onTestResult({ path }, { numPassingTests, numFailingTests, testExecError, testResults, failureMessage }) {
    const failures = testResults
      .filter(({ status }) => status === 'failed')
      .map(({ fullName, failureMessages }) => ({ title: fullName, message: plain(failureMessages.join('\n')) }));
    if (testExecError && failures.length === 0)
      failures.push({ title: 'the file could not be run', message: plain(failureMessage ?? String(testExecError)) });
    this.say({ path, passed: numPassingTests, failed: Math.max(numFailingTests, failures.length), failures });
  }

  onRunComplete() {
    this.say({ over: true });
  }

  say(line) {
    appendFileSync(process.env.ATELIER_TEST_PROGRESS, `${JSON.stringify(line)}\n`);
  }
};
