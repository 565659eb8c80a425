-- Deploy hartonomous:function_classify to pg
-- requires: schema_llm, role_llm_owner, function_store_classify_rows, function_runtime_check_elements

-- The size of the array is checked before PL/Python makes a list of it: see function_runtime_check_elements.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm.classify(
    text text,
    labels text[],
    model text DEFAULT NULL,
    options jsonb DEFAULT NULL,
    OUT label text,
    OUT probability double precision
)
RETURNS record
LANGUAGE sql
VOLATILE
PARALLEL UNSAFE
COST 10000
-- noqa: disable=RF03,AM09
BEGIN ATOMIC
    SELECT
        r.label,
        r.probability
    FROM llm_store.classify_rows(text, labels, model, options) AS r
    WHERE llm_runtime.check_texts(labels, 'labels')
    LIMIT 1;
END;

ALTER FUNCTION llm.classify OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm.classify FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm.classify TO llm_user;
COMMENT ON FUNCTION llm.classify IS
E'The label that fits a text best, and its probability among the labels. Of equal ones it is the first.\n'
'text: NULL gives NULL.\n'
'labels: 1 to 1000 texts that differ, of any length; NULL gives NULL.\n'
'model: a name from llm.models; NULL is the default decoder, or, if no decoder was ever loaded, the default '
'encoder.\n'
'options: a JSON object. on_error: raise, the default, ends the statement when a text cannot be answered, such as '
'one longer than the context; null gives NULL for it.\n'
'A decoder: the probability of a label is the product of those of its tokens as the answer, not normalised by its '
'length, divided by the sum over the labels. If a label begins with another, such as not good with not, the shorter '
'one has what is left beside the longer.\n'
'An encoder: the softmax of 20 times the cosines between the embeddings of the text and the labels.\n'
'Equal calls in a statement are computed once. The prompt is that of llm.prompts.';

COMMIT;
