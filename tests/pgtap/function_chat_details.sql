BEGIN;
SELECT plan(4);

SELECT ok(c IS NULL, 'NULL gives one row of NULLs') FROM llm.chat_details(NULL) AS c;
SELECT throws_ok(
    $$SELECT llm.chat_details('[{"role": "user", "content": "a"}]', model => 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT is(
    (SELECT p.proargnames[13:] FROM pg_catalog.pg_proc AS p WHERE p.oid = 'llm.chat_details'::regproc),
    ARRAY['text', 'reasoning', 'tool_calls', 'finish_reason', 'usage'],
    'the row has the documented columns');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.chat_details(NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
