using System.Globalization;
using Eigengate.ComputeNode.Adapters;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Metrics;

namespace Eigengate.ComputeNode.Metrics;

/// <summary>The families of <c>GET /metrics</c> with vLLM's names, types, labels and buckets (spec/http-api.md §12.5).</summary>
internal static class MetricFamilies
{
    public static string Write(string model, Engine engine, HostCacheStats host, RequestMetrics requests, DateTimeOffset now)
    {
        // A node has one engine; nodes are told apart by where they are scraped.
        var text = new PrometheusText(("model_name", model), ("engine", "0"));
        WriteState(text, engine, requests);
        WriteCounters(text, engine);
        WriteAdapters(text, engine.Adapters, host);
        WriteTokens(text, engine.Metrics, requests);
        WriteTimes(text, engine.Metrics);
        return text.ToString() + AdaptersInUse(engine, requests, now);
    }

    private static void WriteState(PrometheusText text, Engine engine, RequestMetrics requests)
    {
        EngineStats stats = engine.Stats;
        int deferred = requests.Deferred.Sum(wait => wait.Sequences);
        text.Gauge("vllm:num_requests_running", "Sequences in the batch.", stats.Running);
        text.Gauge("vllm:num_requests_waiting", "Sequences that wait to run.", stats.Waiting + deferred);
        text.Gauge(
            "vllm:num_requests_waiting_by_reason", "Sequences that wait, by what for: room in the engine, or their adapter.", "reason",
            ("capacity", stats.Waiting), ("deferred", deferred));
        text.Gauge("vllm:kv_cache_usage_perc", "Share of the KV blocks in use, 0 to 1.", (double)stats.KvBlocksUsed / stats.KvBlocks);
        text.Gauge(
            "vllm:engine_sleep_state", "1 for the state the engine is in.", "sleep_state", ("awake", 1), ("weights_offloaded", 0), ("discard_all", 0));
        int tokens = stats.KvBlocks * engine.Options.BlockSize;
        text.Gauge(
            "vllm:cache_config_info", "The KV cache.", 1,
            ("block_size", Number(engine.Options.BlockSize)),
            ("num_gpu_blocks", Number(stats.KvBlocks)),
            ("kv_cache_size_tokens", Number(tokens)),
            ("kv_cache_max_concurrency", ((double)tokens / engine.MaxModelLength).ToString("0.00", CultureInfo.InvariantCulture)));
    }

    private static void WriteCounters(PrometheusText text, Engine engine)
    {
        EngineStats stats = engine.Stats;
        text.Counter("vllm:num_preemptions", "Times a running sequence gave up its KV blocks.", stats.Preemptions);
        text.Counter("vllm:prompt_tokens", "Prompt tokens of sequences that began to run.", stats.PromptTokens);
        text.Counter("vllm:generation_tokens", "Tokens generated.", stats.GeneratedTokens);
        text.Counter(
            "vllm:request_success", "Sequences that ended, by why.", "finished_reason",
            [.. Enum.GetValues<FinishReason>().Select(reason => (reason.ToString().ToLowerInvariant(), engine.Metrics.Finished(reason))), ("error", engine.Metrics.Failed)]);
        text.Counter("vllm:prefix_cache_queries", "Prompt tokens looked up in the prefix cache.", stats.PrefixCacheQueries);
        text.Counter("vllm:prefix_cache_hits", "Prompt tokens found there.", stats.PrefixCacheHits);
        text.Counter("vllm:prompt_tokens_cached", "Prompt tokens that were not computed.", stats.PrefixCacheHits);
    }

    private static void WriteAdapters(PrometheusText text, AdapterStats adapters, HostCacheStats host)
    {
        text.Gauge("vllm:max_gpu_lora_adapters", "Adapters that can be on the device at once.", adapters.Slots);
        text.Gauge("vllm:num_gpu_loaded_lora_adapters", "Adapters on the device.", adapters.SlotsUsed);
        text.Gauge("vllm:num_cpu_loaded_lora_adapters", "Adapters in the host cache.", host.Adapters);
        text.Gauge("eigengate:adapters_waiting_for_room", "Adapters that wait for room on the device.", adapters.Waiting);
        text.Gauge("eigengate:adapter_pool_bytes", "Device memory for what adapters do not share.", adapters.PoolBytes);
        text.Gauge("eigengate:adapter_pool_used_bytes", "Of it, in use.", adapters.PoolBytesUsed);
        text.Gauge("eigengate:adapter_host_cache_bytes", "Adapter weights in the host cache.", host.Bytes);
        text.Counter("eigengate:adapter_device_hits", "Sequences whose adapter was on the device when they came.", adapters.Hits);
        text.Counter("eigengate:adapter_device_misses", "Sequences whose adapter was not.", adapters.Misses);
        text.Counter("eigengate:adapter_device_loads", "Adapters copied to the device.", adapters.Loads);
        text.Counter("eigengate:adapter_device_evictions", "Adapters that gave way to others there.", adapters.Evictions);
        text.Counter("eigengate:adapter_host_hits", "Loads whose weights were in the host cache.", host.Hits);
        text.Counter("eigengate:adapter_host_misses", "Loads whose weights came from the index.", host.Misses);
    }

    private static void WriteTokens(PrometheusText text, EngineMetrics engine, RequestMetrics requests)
    {
        text.Histogram("vllm:request_prompt_tokens", "Prompt tokens of a sequence.", engine.PromptTokens);
        text.Histogram("vllm:request_generation_tokens", "Tokens a sequence generated.", engine.GeneratedTokens);
        text.Histogram("vllm:request_max_num_generation_tokens", "Tokens of the longest choice of a prompt.", requests.LongestChoice);
        text.Histogram("vllm:request_params_max_tokens", "Most tokens a sequence was allowed to generate.", engine.MaxTokens);
        text.Histogram("vllm:request_params_n", "Choices asked for with a prompt.", requests.Choices);
        text.Histogram("vllm:iteration_tokens_total", "Tokens computed in a step.", engine.StepTokens);
    }

    private static void WriteTimes(PrometheusText text, EngineMetrics engine)
    {
        text.Histogram("vllm:time_to_first_token_seconds", "From arrival to the first token.", engine.TimeToFirstToken);
        text.Histogram("vllm:inter_token_latency_seconds", "From a token to the next.", engine.InterTokenLatency);
        text.Histogram("vllm:request_time_per_output_token_seconds", "Per token after the first, the mean of a sequence.", engine.TimePerOutputToken);
        text.Histogram("vllm:e2e_request_latency_seconds", "From arrival to the end.", engine.EndToEnd);
        text.Histogram("vllm:request_queue_time_seconds", "From arrival to the first step, loading the adapter included.", engine.Queue);
        text.Histogram("vllm:request_inference_time_seconds", "From the first step to the end.", engine.Inference);
        text.Histogram("vllm:request_prefill_time_seconds", "From the first step to the first token.", engine.Prefill);
        text.Histogram("vllm:request_decode_time_seconds", "From the first token to the last.", engine.Decode);
    }

    /// <summary>One series only: readers take the newest, and there is no older one. It has no other labels than these.</summary>
    private static string AdaptersInUse(Engine engine, RequestMetrics requests, DateTimeOffset now)
    {
        var (running, waiting) = engine.Metrics.AdaptersInUse();
        var text = new PrometheusText();
        text.Gauge(
            "vllm:lora_requests_info", "Adapters of running and of waiting sequences; the value is the time, in Unix seconds.", now.ToUnixTimeMilliseconds() / 1000.0,
            ("max_lora", Number(engine.Options.AdapterSlots)),
            ("running_lora_adapters", Names(running)),
            ("waiting_lora_adapters", Names(waiting.Union(requests.Deferred.Select(wait => wait.Adapter)))));
        return text.ToString();
    }

    private static string Names(IEnumerable<string> adapters) => string.Join(',', adapters.Order(StringComparer.Ordinal));

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
