BEGIN;
SELECT plan(4);

SELECT ok(llm.generate_grammar(NULL, 'start: "a"') IS NULL, 'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.generate_grammar('a', 'start: "a"', model => 'no such model')$$,
    '42704', 'llm: model "no such model" does not exist', 'a model that is not there is an error');
SELECT throws_ok(
    $$SELECT llm.generate_grammar('a', NULL)$$,
    '22023', 'llm: argument options.grammar does not fit', 'NULL is no constraint');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok($$SELECT llm.generate_grammar(NULL, 'start: "a"')$$, '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
