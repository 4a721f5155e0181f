namespace Eigengate.Inference.Sampling.Constraints;

/// <summary>Rules whose alternatives begin with the rule itself, written as the repetition they are: only the texts matter here, not how they are read.</summary>
internal static class LeftRecursion
{
    /// <summary>A ::= A x | A y | z | w has the texts of (z | w) (x | y)*.</summary>
    public static Expression Removed(Rule rule, Expression body)
    {
        if (body is not Alternatives { Options: var options })
            return body;
        var continuations = options.Where(o => Begins(o, rule)).Select(Rest).ToList();
        return continuations.Count == 0 ? body
            : Expression.Of(Expression.AnyOf([.. options.Where(o => !Begins(o, rule))]), Expression.AnyOf(continuations).Repeated(0, null));
    }

    private static bool Begins(Expression option, Rule rule) => option switch
    {
        Reference reference => reference.Rule == rule,
        Sequence { Parts: [Reference first, ..] } => first.Rule == rule,
        _ => false,
    };

    private static Expression Rest(Expression option) =>
        option is Sequence sequence ? Expression.Of([.. sequence.Parts.Skip(1)]) : Expression.Empty;
}
