-- Deploy hartonomous:function_sample to pg
-- requires: schema_llm, function_runtime_boot, function_runtime_check_elements

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_runtime.sample(
    logits bytea,
    temperature double precision,
    top_k integer,
    top_p double precision,
    min_p double precision,
    repeat_penalty double precision,
    seed bigint,
    history integer[],
    next_position integer,
    options jsonb
)
RETURNS integer
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 1000
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.operators.sample(
    logits, temperature, top_k, top_p, min_p, repeat_penalty, seed, history, next_position, options
)
$python$;

CREATE FUNCTION llm.sample(
    logits bytea,
    temperature double precision DEFAULT 0,
    top_k integer DEFAULT NULL,
    top_p double precision DEFAULT NULL,
    min_p double precision DEFAULT NULL,
    repeat_penalty double precision DEFAULT NULL,
    seed bigint DEFAULT NULL,
    history integer[] DEFAULT NULL,
    next_position integer DEFAULT NULL,
    options jsonb DEFAULT NULL
)
RETURNS integer
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 1000
RETURN CASE
    WHEN llm_runtime.check_elements(cardinality(history), 'history')
        THEN llm_runtime.sample(
            logits, temperature, top_k, top_p, min_p, repeat_penalty, seed, history, next_position, options
        )
END;

REVOKE ALL ON FUNCTION llm_runtime.sample FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_runtime.sample TO llm_owner, llm_user;
COMMENT ON FUNCTION llm_runtime.sample IS
'Called by llm.sample after it has checked the size of the array.';

ALTER FUNCTION llm.sample OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.sample FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.sample TO llm_user;
COMMENT ON FUNCTION llm.sample IS
E'Chooses the next token from logits and returns its id.\n'
'logits: little-endian float32, one number per row of the vocabulary, as llm.forward returns them. NULL gives NULL.\n'
'temperature: 0 always picks the most likely token; higher values, up to 100, sample more randomly.\n'
'top_k: sample from the k most likely tokens (NULL or 0: all).\n'
'top_p: sample from the fewest tokens whose probabilities add up to this (NULL or 1: all).\n'
'min_p: sample from tokens with at least this fraction of the largest probability (NULL or 0: all).\n'
'repeat_penalty: from 0.01 to 100; above 1, tokens that occurred already become less likely (NULL or 1: off).\n'
'seed: the same seed gives the same tokens; NULL uses a new seed at each call.\n'
'history: the tokens so far, for repeat_penalty.\n'
'next_position: the position of the token in the text, from 0; the sample depends on it and on the seed. NULL is the '
'length of history.\n'
'options: a JSON object of samplers that llm.samplers() lists as options, by name. An unknown key is an error.\n'
'Of equal logits the lower id wins.';

COMMIT;
