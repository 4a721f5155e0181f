using System.Globalization;
using Eigengate.Inference.Tokenization;

namespace Eigengate.ComputeNode.Responses;

/// <summary>How log-probabilities call a token: by its text, or as <c>token_id:{id}</c>.</summary>
internal sealed class TokenName(Tokenizer tokenizer, bool asTokenIds)
{
    public string Of(int tokenId) => asTokenIds ? string.Create(CultureInfo.InvariantCulture, $"token_id:{tokenId}") : tokenizer.TokenText(tokenId);
}
