BEGIN;
SELECT plan(6);

\ir own_model.psql

SELECT is(
    llm.set_tensor('tiny', 'output_norm.weight', llm.bytes(ARRAY[2, 3])),
    0::double precision,
    'floats are stored exactly'
    );
SELECT is(pg_temp.content('tiny', 'output_norm.weight'), '\x0000004000004040'::bytea, 'as they are');
SELECT is_empty($$SELECT * FROM llm.verify('tiny')$$, 'all hashes are true');
SELECT throws_ok(
    $$SELECT llm.set_tensor('tiny', 'output_norm.weight', llm.bytes(ARRAY[2]))$$,
    '22023', 'llm: numbers has the wrong size', 'there must be as many as the tensor has');
SET LOCAL ROLE bob;
SELECT throws_ok(
    $$SELECT llm.set_tensor('tiny', 'output_norm.weight', llm.bytes(ARRAY[2, 3]))$$,
    '42501', 'llm: must be owner of model "tiny"', 'bob may not edit the model of ann');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm.set_tensor('tiny', 'output_norm.weight', '')$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
