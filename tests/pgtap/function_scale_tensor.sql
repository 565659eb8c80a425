BEGIN;
SELECT plan(5);

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
    llm.scale_tensor('tiny', 'output_norm.weight', -0.5), 0::double precision, 'halves of floats are exact');
SELECT is(pg_temp.content('tiny', 'output_norm.weight'), '\x000000bf000000bf'::bytea, 'all numbers are multiplied');
SELECT throws_ok(
    $$SELECT llm.scale_tensor('tiny', 'output_norm.weight', 'infinity')$$,
    '22023', 'llm: factor is out of range', 'a factor is finite');
SET LOCAL ROLE bob;
SELECT throws_ok(
    $$SELECT llm.scale_tensor('tiny', 'output_norm.weight', 2)$$,
    '42501', 'llm: must be owner of model "tiny"', 'bob may not edit the model of ann');
SET LOCAL ROLE llm_user;
SELECT throws_ok($$SELECT llm.scale_tensor('tiny', 'output_norm.weight', 2)$$, '42501', NULL, 'a user may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
