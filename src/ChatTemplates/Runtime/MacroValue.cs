using Eigengate.ChatTemplates.Nodes;
using Eigengate.ChatTemplates.Values;

namespace Eigengate.ChatTemplates.Runtime;

/// <summary>A macro, or the body of a call block, with the scope it was defined in.</summary>
internal sealed class MacroValue(MacroSignature signature, Block body, Scope definedIn) : Callable(signature.Name)
{
    public override object? Invoke(RenderState state, Arguments arguments) => state.Nested(() =>
    {
        var scope = new Scope(definedIn);
        BindParameters(state, arguments, scope);
        return state.Capture(scope, () => body.Execute(state));
    });

    private void BindParameters(RenderState state, Arguments arguments, Scope scope)
    {
        IReadOnlyList<MacroParameter> parameters = signature.Parameters;
        if (arguments.Positional.Count > parameters.Count && !signature.UsesVarargs)
            throw state.Fail($"macro '{Name}' takes at most {parameters.Count} arguments, {arguments.Positional.Count} were given");
        for (int i = 0; i < parameters.Count; i++)
        {
            MacroParameter parameter = parameters[i];
            bool named = arguments.TryNamed(parameter.Name, out object? value);
            if (i < arguments.Positional.Count)
            {
                if (named)
                    throw state.Fail($"macro '{Name}' got its argument '{parameter.Name}' twice");
                value = arguments.Positional[i];
            }
            else if (!named)
            {
                value = Default(state, parameter, scope);
            }

            scope.Set(parameter.Name, value);
        }

        BindRest(state, arguments, scope);
    }

    private void BindRest(RenderState state, Arguments arguments, Scope scope)
    {
        var rest = new DictValue();
        object? caller = new Undefined("no caller is defined");
        foreach ((string name, object? value) in arguments.Named)
        {
            if (signature.Parameters.Any(p => p.Name == name))
                continue;
            if (name == "caller" && signature.UsesCaller)
                caller = value;
            else if (signature.UsesKwargs)
                rest.Set(name, value);
            else
                throw state.Fail($"macro '{Name}' has no argument '{name}'");
        }

        if (signature.UsesCaller && signature.Parameters.All(p => p.Name != "caller"))
            scope.Set("caller", caller);
        if (signature.UsesKwargs)
            scope.Set("kwargs", rest);
        if (signature.UsesVarargs)
            scope.Set("varargs", new TupleValue([.. arguments.Positional.Skip(signature.Parameters.Count)]));
    }

    private static object? Default(RenderState state, MacroParameter parameter, Scope scope)
    {
        if (parameter.Default is null)
            return new Undefined($"parameter '{parameter.Name}' was not provided");
        Scope outer = state.Scope;
        state.Scope = scope;
        try
        {
            return parameter.Default.Evaluate(state);
        }
        finally
        {
            state.Scope = outer;
        }
    }
}
