BEGIN;
SELECT plan(6);

\ir tiny_model.psql

CREATE ROLE ann IN ROLE llm_loader;
CREATE ROLE bob IN ROLE llm_loader;
SET LOCAL ROLE ann;
SELECT llm.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
CREATE FUNCTION pg_temp.content(model text, tensor text)
RETURNS bytea
LANGUAGE sql
RETURN (
    SELECT string_agg(c.content, '' ORDER BY u.ordinal)
    FROM llm.tensors AS t
    INNER JOIN llm_store.tensor_tile AS u ON t.hash = u.tensor_hash
    INNER JOIN llm_store.tile AS c ON u.tile_hash = c.hash
    WHERE t.model = content.model AND t.name = content.tensor
);

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
