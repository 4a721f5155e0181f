using Eigengate.ComputeNode.Requests;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;
using Eigengate.Inference.Sampling.Constraints;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>A request made concrete for the served model: its prompts as ids, and how to sample.</summary>
internal sealed record GenerationPlan(IGenerationInput Input, IReadOnlyList<EncodedPrompt> Prompts, SamplingParams Sampling)
{
    public GenerationFields Fields => Input.Fields;

    /// <summary>Choices of the response, prompt-major: index = prompt × n + sample.</summary>
    public int Sequences => Prompts.Count * Fields.N;

    public int PromptTokens => Prompts.Sum(prompt => prompt.TokenIds.Count);

    public EncodedPrompt PromptOf(int index) => Prompts[index / Fields.N];

    /// <exception cref="ApiException">Not servable by this model, or more sequences than the engine can ever queue.</exception>
    public static async Task<GenerationPlan> CreateAsync(IGenerationInput input, ServedModel model, int maxSequences, CancellationToken cancel = default)
    {
        GenerationFields fields = input.Fields;
        IReadOnlyList<PromptInput> prompts = input.PromptsFor(model, cancel);
        long sequences = (long)prompts.Count * fields.N;
        if (sequences > maxSequences)
            throw new ApiException(ApiError.BadRequest($"{prompts.Count} prompts × n = {fields.N} are {sequences} sequences; at most {maxSequences} fit in one request.", fields.N > 1 ? "n" : "prompt"));
        SamplingParams sampling = SamplingBuilder.Build(fields, model);
        EncodedPrompt[] encoded = [.. prompts.Select(prompt => EncodedPrompt.Encode(prompt, fields, model))];
        // Last: it is the only part that can take long.
        TokenMasks? constraint = fields.Sampling.Format is { } format ? await model.Constraints.GetAsync(format, cancel) : null;
        return new GenerationPlan(input, encoded, sampling with { Constraint = constraint });
    }

    /// <param name="requestId">Prefix of the sequences' ids.</param>
    /// <param name="arrived">When the request came, as a <see cref="System.Diagnostics.Stopwatch"/> timestamp.</param>
    /// <param name="leases">One per sequence, or null for the base.</param>
    /// <param name="caller">Whose request it is.</param>
    public IReadOnlyList<GenerationRequest> ToSequences(string requestId, long arrived, IReadOnlyList<ResidentAdapter>? leases, string caller) =>
    [
        .. Enumerable.Range(0, Sequences).Select(index =>
            new GenerationRequest($"{requestId}-{index}", PromptOf(index).TokenIds, SamplingOf(index), leases?[index], Fields.Priority, caller) { Arrived = arrived }),
    ];

    private SamplingParams SamplingOf(int index) =>
        SamplingBuilder.ForSample(Sampling, index % Fields.N) with { MaxTokens = PromptOf(index).MaxTokens };
}
