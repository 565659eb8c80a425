BEGIN;
SELECT plan(4);

SELECT matches(
    llm.version(),
    '^hartonomous release [0-9a-f]{16}, Python 3\.\d+\.\d+, numpy \d+\.\d+\.\d+$',
    'llm.version tells the release, Python and numpy on one line');
SELECT ok(
    strpos(llm.version(), left(llm_runtime.release(), 16)) > 0,
    'the release that runs is the one that is deployed');

SET LOCAL ROLE llm_user;
SELECT lives_ok('SELECT llm.version()', 'llm_user may ask for the version');
RESET ROLE;
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.version()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
