using Eigengate.OpenAiApi;

namespace Eigengate.ComputeNode.Requests;

/// <summary>
/// Known fields this node does not offer. Each would change the generated text, so it is refused by name instead of
/// being ignored (spec/http-api.md §14).
/// </summary>
internal static class UnofferedFields
{
    private static readonly string[] WhenPresent =
    [
        "suffix", "prompt_embeds", "logprob_token_ids", "repetition_detection",
    ];

    public static void Refuse(JsonFields body)
    {
        foreach (string name in WhenPresent)
        {
            if (body.Has(name))
                throw NotOffered(name, name);
        }

        if (body.Flag("use_beam_search") == true)
            throw NotOffered("use_beam_search", "use_beam_search: true");
    }

    public static ApiException NotOffered(string field, string what) => new(ApiError.BadRequest($"This server does not offer {what}.", field));
}
