BEGIN;
SELECT plan(4);

SELECT matches(llm.engine(), '^(numpy|compiled) ', 'an engine runs');
SELECT set_config('llm.engine', 'numpy', TRUE) AS setting;
SELECT matches(llm.engine(), '^numpy \d+\.\d+', 'the reference engine runs where it is asked for');
SELECT set_config('llm.engine', 'abacus', TRUE) AS setting;
SELECT throws_ok('SELECT llm.engine()', '22023', NULL, 'an unknown engine is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.engine()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
