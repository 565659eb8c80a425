BEGIN;
SELECT plan(2);

SELECT matches(llm.engine(), '^numpy \d+\.\d+', 'the reference engine runs');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.engine()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
