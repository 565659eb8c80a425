BEGIN;
SELECT plan(5);

\ir tiny_model.psql

SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT hash AS first FROM llm_store.model WHERE id = :id \gset
SELECT is(octet_length(:'first'::bytea), 32, 'a model has a hash');

SET CONSTRAINTS ALL IMMEDIATE;
DELETE FROM llm_store.model_tensor WHERE model_id = :id AND name = 'blk.0.attn_q.weight';
SELECT isnt(hash, :'first'::bytea, 'without a tensor it has another') FROM llm_store.model WHERE id = :id;
INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash)
SELECT
    model_id,
    2 AS ordinal,
    'blk.0.attn_q.weight' AS name,
    tensor_hash
FROM llm_store.model_tensor WHERE model_id = :id AND name = 'blk.0.attn_k.weight';
SELECT is(hash, :'first'::bytea, 'with it the first again') FROM llm_store.model WHERE id = :id;
UPDATE llm_store.model_tensor SET name = 'blk.0.attn_q.bias' WHERE model_id = :id AND name = 'blk.0.attn_q.weight';
SELECT isnt(hash, :'first'::bytea, 'names are part of it') FROM llm_store.model WHERE id = :id;
SET LOCAL ROLE llm_loader;
SELECT throws_ok('UPDATE llm_store.model SET hash = NULL', '42501', NULL, 'a loader cannot set it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
