using System.CommandLine;

namespace Eigengate.Cli;

/// <summary>Options that take one of a few words.</summary>
internal static class OptionChoice
{
    /// <summary>Shows the words in the help and refuses any other by the option's name.</summary>
    public static Option<T> OneOf<T>(this Option<T> option, params string[] words)
        where T : class?
    {
        option.HelpName = string.Join('|', words);
        option.CompletionSources.Add(words);
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token, ..] && !words.Contains(token.Value, StringComparer.Ordinal))
                result.AddError($"{option.Name} takes {string.Join(", ", words[..^1])}{(words.Length > 1 ? " or " : "")}{words[^1]}; '{token.Value}' is none of them");
        });
        return option;
    }
}
