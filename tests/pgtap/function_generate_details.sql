BEGIN;
SELECT plan(4);

SELECT ok(d IS NULL, 'NULL gives one row of NULLs') FROM llm.generate_details(NULL) AS d;
SELECT throws_ok(
    $$SELECT llm.generate_details('a', model => 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT is(
    (SELECT p.proargnames[12:] FROM pg_catalog.pg_proc AS p WHERE p.oid = 'llm.generate_details'::regproc),
    ARRAY['text', 'tokens', 'finish_reason', 'prompt_tokens', 'completion_tokens', 'milliseconds'],
    'the row has the documented columns');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.generate_details(NULL::text)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
