BEGIN;
SELECT plan(6);

\ir own_model.psql

SELECT is(
    llm.set_row('tiny', 'token_embd.weight', 2, llm.bytes(ARRAY[2, 3])),
    0::double precision,
    'floats are stored exactly'
    );
SELECT is(
    pg_temp.content('tiny', 'token_embd.weight'),
    pg_temp.ones(4) || '\x0000004000004040'::bytea || pg_temp.ones(2), 'in their row, the third of four');
SELECT throws_ok(
    $$SELECT llm.set_row('tiny', 'token_embd.weight', 4, llm.bytes(ARRAY[2, 3]))$$,
    '22023', 'llm: row_number is out of range', 'there is no fifth');
SELECT is_empty($$SELECT * FROM llm.verify('tiny')$$, 'all hashes are true');
SET LOCAL ROLE bob;
SELECT throws_ok(
    $$SELECT llm.set_row('tiny', 'token_embd.weight', 2, llm.bytes(ARRAY[2, 3]))$$,
    '42501', 'llm: must be owner of model "tiny"', 'bob may not edit the model of ann');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm.set_row('tiny', 'token_embd.weight', 0, '')$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
