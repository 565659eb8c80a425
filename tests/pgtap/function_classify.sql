BEGIN;
SELECT plan(6);

SELECT results_eq(
    $$SELECT label, probability FROM llm.classify(NULL, ARRAY['a', 'b'])$$,
    'SELECT NULL::text, NULL::double precision', 'NULL gives NULL');
SELECT throws_ok($$SELECT llm.classify('a', '{}')$$, '22023', NULL, 'there is at least one label');
SELECT throws_ok($$SELECT llm.classify('a', ARRAY['b', NULL])$$, '22023', NULL, 'none is NULL');
SELECT throws_ok($$SELECT llm.classify('a', ARRAY['b', 'c', 'b'])$$, '22023', NULL, 'they differ');
SELECT throws_ok(
    $$SELECT llm.classify('a', ARRAY['b'], 'no such model')$$, '42704', NULL, 'a model that is not there is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.classify(NULL, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
