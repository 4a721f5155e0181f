using Eigengate.ComputeNode.Requests;
using Eigengate.Inference;
using Eigengate.Inference.Adapters;
using Eigengate.Inference.Sampling;
using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Generation;

/// <summary>A request made concrete for the served model: its prompts as ids, and how to sample.</summary>
internal sealed record CompletionPlan(CompletionRequest Request, IReadOnlyList<EncodedPrompt> Prompts, SamplingParams Sampling)
{
    /// <summary>Choices of the response, prompt-major: index = prompt × n + sample.</summary>
    public int Sequences => Prompts.Count * Request.N;

    public int PromptTokens => Prompts.Sum(prompt => prompt.TokenIds.Count);

    public EncodedPrompt PromptOf(int index) => Prompts[index / Request.N];

    /// <exception cref="ApiException">Not servable by this model, or more sequences than the engine can ever queue.</exception>
    public static CompletionPlan Create(CompletionRequest request, ServedModel model, int maxSequences)
    {
        long sequences = (long)request.Prompts.Count * request.N;
        if (sequences > maxSequences)
            throw new ApiException(ApiError.BadRequest($"{request.Prompts.Count} prompts × n = {request.N} are {sequences} sequences; at most {maxSequences} fit in one request.", request.N > 1 ? "n" : "prompt"));
        SamplingParams sampling = SamplingBuilder.Build(request, model);
        return new CompletionPlan(request, [.. request.Prompts.Select(prompt => EncodedPrompt.Encode(prompt, request, model))], sampling);
    }

    /// <param name="requestId">Prefix of the sequences' ids.</param>
    /// <param name="leases">One per sequence, or null for the base.</param>
    public IReadOnlyList<GenerationRequest> ToSequences(string requestId, IReadOnlyList<ResidentAdapter>? leases) =>
    [
        .. Enumerable.Range(0, Sequences).Select(index => new GenerationRequest(
            $"{requestId}-{index}", PromptOf(index).TokenIds, SamplingBuilder.ForSample(Sampling, index % Request.N), leases?[index])),
    ];
}
