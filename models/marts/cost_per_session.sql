-- One row per accrued_on x session x who asked: what a conversation, an agent's run or a task cost on a business day
--
-- Every attempt is in one row: of its session where the log names one; else, where its trace is known, of the one session
-- that other calls of the trace name on that day (sub-agents), else of the trace itself; else of the row without a session. Retries,
-- failures and fallbacks are inside. Sums are those of mart.cost_per_token_daily.
WITH slices AS (
  SELECT source, request_id, started_at, accrued_on, session_id, tenant, team, feature, environment, agent, status,
    attempt_no, logical_request_id, is_fallback, is_first_accrual, cost_basis, effective_usd, estimated_usd, duration_seconds,
    coalesce(attempt_no, 1) <> 0 AS is_call,
    is_first_accrual AND coalesce(attempt_no, 1) <> 0 AS is_attempt,
    is_first_accrual AND (
      logical_request_id IS NULL OR (coalesce(attempt_no, 1) <= 1 AND NOT coalesce(is_fallback, false))
    ) AS is_request,
    coalesce(attempt_no, 1) > 1 AND NOT coalesce(is_fallback, false) AS is_retry,
    price_state <> 'unpriced' AS is_priced,
    coalesce(input_uncached_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(cache_write_5m_tokens, 0)
      + coalesce(cache_write_1h_tokens, 0) + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0)
      + coalesce(video_input_tokens, 0) + coalesce(cache_read_audio_tokens, 0)
      + coalesce(cache_read_image_tokens, 0) + coalesce(other_input_tokens, 0) AS all_input,
    coalesce(output_text_tokens, 0) + coalesce(reasoning_tokens, 0) + coalesce(audio_output_tokens, 0)
      + coalesce(image_output_tokens, 0) + coalesce(other_output_tokens, 0) AS all_output
  FROM core.request_costs WHERE accrued_on >= $from_on AND accrued_on < $to_on
),
traced AS (
  SELECT source, request_id, started_at, trace_id FROM core.requests
  WHERE started_hour >= $early AND started_hour < $late AND trace_id IS NOT NULL
),
-- Read anew by each that needs it: of all attempts DuckDB would hold a copy.
held AS NOT MATERIALIZED (
  SELECT s.*, t.trace_id, CASE WHEN s.session_id IS NULL THEN t.trace_id END AS unnamed_trace_id
  FROM slices s LEFT JOIN traced t USING (source, request_id, started_at)
),
trace_sessions AS (
  SELECT accrued_on, trace_id, min(session_id) AS session_id FROM held
  WHERE session_id IS NOT NULL AND trace_id IS NOT NULL
  GROUP BY accrued_on, trace_id HAVING count(DISTINCT session_id) = 1
),
named AS (
  SELECT h.* EXCLUDE (session_id), coalesce(h.session_id, o.session_id, h.trace_id) AS session_id,
    CASE WHEN coalesce(h.session_id, o.session_id) IS NOT NULL THEN 'session' WHEN h.trace_id IS NOT NULL THEN 'trace'
      ELSE 'none' END AS session_kind
  -- A condition of one side alone would make DuckDB compare every row with every trace.
  FROM held h LEFT JOIN trace_sessions o ON o.accrued_on = h.accrued_on AND o.trace_id = h.unnamed_trace_id
)
SELECT accrued_on, session_kind, session_id, tenant, team, feature, environment, agent,
  min(started_at) AS started_at,
  -- Instants are counted in microseconds: DuckDB adds to one by way of a calendar, which takes ten times as long.
  make_timestamptz(max(epoch_us(started_at) + CAST(coalesce(duration_seconds, 0) * 1e6 AS BIGINT))) AS ended_at,
  count(CASE WHEN is_request THEN 1 END) AS request_count,
  count(CASE WHEN is_attempt THEN 1 END) AS attempt_count,
  count(CASE WHEN is_attempt AND status = 'error' THEN 1 END) AS error_count,
  count(CASE WHEN is_attempt AND is_retry THEN 1 END) AS retry_count,
  count(CASE WHEN is_attempt AND is_fallback THEN 1 END) AS fallback_count,
  count(CASE WHEN is_attempt AND NOT is_priced THEN 1 END) AS unpriced_count,
  CAST(coalesce(sum(CASE WHEN is_call THEN all_input END), 0) AS BIGINT) AS input_tokens,
  CAST(coalesce(sum(CASE WHEN is_call THEN all_output END), 0) AS BIGINT) AS output_tokens,
  CAST(coalesce(sum(CASE WHEN is_call THEN all_input + all_output END), 0) AS BIGINT) AS total_tokens,
  CAST(coalesce(sum(CASE WHEN is_call AND is_priced THEN all_input + all_output END), 0) AS BIGINT) AS priced_tokens,
  sum(CASE WHEN is_call THEN effective_usd END) AS usage_usd,
  sum(CASE WHEN is_call AND cost_basis = 'gpu' THEN effective_usd END) AS gpu_usd,
  sum(CASE WHEN is_call AND status = 'error' THEN effective_usd END) AS failed_usd,
  sum(CASE WHEN is_call AND is_retry THEN effective_usd END) AS retry_usd,
  sum(estimated_usd) AS estimated_usd
FROM named
GROUP BY accrued_on, session_kind, session_id, tenant, team, feature, environment, agent
