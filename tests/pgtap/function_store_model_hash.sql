BEGIN;
SELECT plan(2);

\ir tiny_model.psql

SELECT is(llm_store.model_hash(-1), NULL, 'no model, no hash');
SELECT llm_store.publish('tiny', pg_temp.tiny_manifest(), pg_temp.tiny_tokenizer()) AS id \gset
SELECT is(
    llm_store.model_hash(:id),
    (
        SELECT sha256(
            convert_to(m.architecture::text || E'\n', 'UTF8') || k.hash
            || (
                SELECT string_agg(convert_to(t.name || E'\n', 'UTF8') || t.hash, '' ORDER BY t.ordinal)
                FROM llm.tensors AS t WHERE t.model = m.name
            ))
        FROM llm_store.model AS m INNER JOIN llm_store.tokenizer AS k ON m.tokenizer_id = k.id
        WHERE m.id = :id
    ), 'it covers architecture, tokenizer, names and tensors');

SELECT * FROM finish();
ROLLBACK;
